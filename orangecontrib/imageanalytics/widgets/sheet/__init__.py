"""The view of a sheet of images, and what Image Viewer and Image Grid share."""
