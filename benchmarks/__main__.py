"""`make bench`: every benchmark in turn, one line each."""

from benchmarks import append, as_of, export, historical, ingest, publish, seasonal, transform

if __name__ == "__main__":
    for benchmark in (append, as_of, historical, ingest, export, transform, seasonal, publish):
        benchmark.main()
