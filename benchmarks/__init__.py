"""What the project costs and how exact it is: each module prints figures measured side by side."""
