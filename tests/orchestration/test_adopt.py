"""What Snakemake remembers, as it names it itself."""

from snakemake.persistence.file import FilePersistence

from m3hl.orchestration.adopt import remembered


def test_the_files_that_snakemake_remembers_are_found(tmp_path):
    names = {"results/x/data/d.h5", "results/é/" + "long-" * 60 + "/run.json"}
    memory = FilePersistence(path=tmp_path)
    for name in names:
        memory._io_write(memory._metadata_path, {}, name)
    assert remembered(tmp_path / "metadata") == names


def test_without_a_memory_nothing_is_remembered(tmp_path):
    assert remembered(tmp_path / "metadata") == set()
