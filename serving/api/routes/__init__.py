"""The addresses of the API, one module per topic: its questions, their parameters and what they answer."""
