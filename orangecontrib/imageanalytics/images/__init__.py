"""Images: their sources, the content of their files, and their pixels.

`sources` finds out what the cells of a column refer to, `fetch` downloads, and `decode`
turns bytes into pixels, with the help of `svg`.
"""
