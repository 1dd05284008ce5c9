"""What the stores of AWS share: who we are there, calls through the gate in threads, errors, and gathered reads.

boto3 is imported when a store is opened, and not before.
"""
