"""Images: where they are, what is in the files, their pixels.

`sources` tells what the cells of a column refer to, `fetch` downloads, `decode`
turns bytes into pixels, with the help of `svg`.
"""
