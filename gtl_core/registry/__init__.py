"""MLflow: tracking, packaged models, gate, promotion, lineage."""
