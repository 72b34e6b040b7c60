"""M³HL, reproduced: Mutual Mask Mix with High-Low level feature consistency (Liu et al., MICCAI 2025)."""

__version__ = "0.1.0"
