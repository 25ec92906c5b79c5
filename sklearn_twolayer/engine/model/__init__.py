"""The model: what the network computes, and the derivatives of its loss."""
