"""What people look at: tables, pictures, the live display."""
