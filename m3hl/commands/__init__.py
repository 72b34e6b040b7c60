"""The pipeline's stages: options in, one call, files out. Nothing imports these modules."""
