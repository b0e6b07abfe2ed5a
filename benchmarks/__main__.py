"""`make bench`: every benchmark in turn, one line each."""

from benchmarks import append, export, seasonal

if __name__ == "__main__":
    append.main()
    export.main()
    seasonal.main()
