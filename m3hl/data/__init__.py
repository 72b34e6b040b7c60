"""Images: where they come from, how they are checked and stored, and how batches are made of them."""
