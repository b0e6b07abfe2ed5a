"""`make bench`: every benchmark in turn, one line each."""

from benchmarks import append, as_of, export, ingest, seasonal, transform

if __name__ == "__main__":
    for benchmark in (append, as_of, ingest, export, transform, seasonal):
        benchmark.main()
