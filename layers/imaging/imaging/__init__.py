"""Pixels: what an original is, what it looks like as sRGB, its perceptual hashes and its renditions.

Three entrances: `imaging.originals`, `imaging.hashes`, `imaging.renditions`.  Behind them a file passes
`containers` (read by our own parsers, bounded, cut down to what a decoder needs), `decoding` (Pillow, one
plugin), `colour` (ICC to sRGB), `resizing` and `encoding`.
"""
