"""PostgreSQL storage for Mastra."""
