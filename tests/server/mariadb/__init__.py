"""What is different on MariaDB, on real servers: 10.11 and 11.8."""
