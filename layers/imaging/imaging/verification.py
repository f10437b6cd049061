"""Whether two images show the same product: decided on pixels and colour, because no grey hash can.

A perceptual hash only proposes.  Here the two originals are compared at the smaller one's own resolution:

1. **Frame.**  Same proportions to a pixel, and neither more than five times the other's size.
2. **Registration.**  One linear filter of 5 x 5 taps (plus what other resizers make of the larger image) is
   fitted over the whole picture to predict one luma from the other.  It absorbs half-pixel shifts,
   softness, sharpening and the choice of resampling filter, and no local change.
3. **Detail.**  In every 8 x 8 window: the energy of structure that both images have and that is *not* the
   same structure.  Codecs remove detail and add little, so what each image has and the other cannot
   explain is print that changed.  It is measured against the energy that codecs leave there: noise follows
   local activity up to the quantisation step (reverse water-filling), so activity counts up to a ceiling.
   The limit follows the noise of the pair itself: an error that is normal in a q30 JPEG stands out in a q90.
4. **Presence.**  The same windows, for structure only one of them has: added or missing print and badges.
5. **Tone** and **colour**.  Mean differences of luma (8 x 8) and of Cb and Cr (8 x 8 and 24 x 24), against
   the activity around them: near-white shapes, hue shifts, colourways, recoloured parts.

Every limit was set on half of a set of images and measured on the other half: docs/near-duplicates.md.
"""
