"""What stands between the package and Snakemake."""
