"""What the node decides: the deployed models in use, and their answers to closed bars."""
