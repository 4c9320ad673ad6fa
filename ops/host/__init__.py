"""The one server, seen from the operator's chair: bootstrap, deploy, rollback, status."""
