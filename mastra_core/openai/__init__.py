"""Providers that speak as OpenAI does: who they are, what their client's errors mean, and embeddings. Importing this imports no client."""
