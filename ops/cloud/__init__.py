"""What is out there in AWS: instances, and in time the stack."""
