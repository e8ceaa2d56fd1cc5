"""GTL: GAN transfer learning with an honest verdict. The library; the application over it is `pipelines`."""
