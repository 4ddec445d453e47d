"""What spark-submit runs: one step of a batch load, in the session that it was submitted to."""

from batch.__main__ import main

main(submitted=True)
