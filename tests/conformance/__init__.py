"""The public behaviour of ray_lite, as its specification and the user's document promise it; no test here
looks below the face.
"""
