"""`make bench`: every benchmark in turn, one line each."""

from benchmarks import api_latest, append, as_of, export, historical, ingest, publish, quality, seasonal, transform

if __name__ == "__main__":
    for benchmark in (append, as_of, historical, ingest, export, transform, quality, seasonal, publish, api_latest):
        benchmark.main()
