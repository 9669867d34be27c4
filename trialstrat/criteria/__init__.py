"""Who should be eligible: executable criteria and their price."""
