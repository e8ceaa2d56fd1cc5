"""Sources of the MLflow wrappers of registered models; `packaging` reads them as text and never imports them."""
