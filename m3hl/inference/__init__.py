"""From a trained network to a label map."""
