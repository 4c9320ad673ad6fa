"""What people see of a report: uptime.md, the status page, pictures, the badge. Pure."""
