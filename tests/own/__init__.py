"""Methods and networks of a user's own, as tests of several rooms write them."""

from textwrap import dedent

METHOD = '''
    """Supervised training, and the unlabeled images shall be segmented without doubt."""

    from m3hl import nets
    from m3hl.config.methods.optimizer import OptimizerOptions
    from m3hl.methods.method import Method as Base
    from m3hl.methods.parts.losses import segmentation_loss

    from .doubt import entropy

    PRESETS = ("default",)
    DIAGNOSTICS = {"entropy": "mean entropy of the student"}


    class Options(OptimizerOptions):
        """Knobs."""

        weight: float = 0.1
        """Of the entropy."""


    def preset(name, dimensions):
        return {"learning_rate": 0.02 if dimensions == 2 else 0.01}


    class Method(Base):
        """L = L_sup + weight · H."""

        def __init__(self, settings):
            super().__init__(settings)
            self.student = nets.build(settings.dimensions, len(settings.classes) + 1, settings.channels)

        def losses(self, batch):
            logits = self.student(batch.labeled_images).logits
            supervised = segmentation_loss(logits, batch.labels, None, "squared", "mean")
            doubt = entropy(self.student(batch.unlabeled_images).logits)
            return {"loss": supervised + self.options.weight * doubt, "entropy": doubt}
'''
DOUBT = '''
    """What the method reads beside itself."""


    def entropy(logits):
        """Return the mean entropy of logits (B, C, *)."""
        return -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
'''
NETWORK = '''
    """Two convolutions."""

    from torch import nn

    from .layers import convolution


    class Network(nn.Module):
        """Logits alone."""

        def __init__(self, spatial_dims, in_channels, out_channels):
            super().__init__()
            self.first = convolution(spatial_dims, in_channels, 4)
            self.second = convolution(spatial_dims, 4, out_channels)
            self.dropout = nn.Dropout(0.2)

        def forward(self, images):
            return self.second(self.dropout(self.first(images).relu()))
'''
LAYERS = '''
    """What the network reads beside itself."""

    from torch import nn


    def convolution(dimensions, before, after):
        """Return a convolution that keeps the size."""
        return {2: nn.Conv2d, 3: nn.Conv3d}[dimensions](before, after, 3, padding=1)
'''


def write_method(folder, name="mine.py", **edits):
    """Write a method and the file that it imports into a folder; each edit is (old, new) in the method's text.

    Returns:
        The method's file.
    """
    (folder / "doubt.py").write_text(dedent(DOUBT).lstrip())
    return write_edited(folder / name, METHOD, edits.values())


def write_network(folder, name="net.py", **edits):
    """Write a network and the file that it imports into a folder; see `write_method`."""
    (folder / "layers.py").write_text(dedent(LAYERS).lstrip())
    return write_edited(folder / name, NETWORK, edits.values())


def write_edited(file, text, edits):
    """Write a text with its edits, and return the file."""
    text = dedent(text).lstrip()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return file
