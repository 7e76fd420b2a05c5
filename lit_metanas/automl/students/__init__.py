"""Students: small networks that learn from a trained model."""
