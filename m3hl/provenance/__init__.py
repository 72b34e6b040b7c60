"""Who made a result, and does it still hold?"""
