"""What a search begins with: the data, pretrained encoders, and an earlier model."""
