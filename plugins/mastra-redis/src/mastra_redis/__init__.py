"""Redis storage for Mastra."""
