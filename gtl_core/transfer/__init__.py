"""Ways to make a target GAN of a source GAN: one file a strategy, each a short recipe over the training room."""
