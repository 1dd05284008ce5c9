"""A fake of Google Cloud Secret Manager, and of the logins before it. It shares no code with the product.

Every request and every answer is checked against Google's discovery documents, of which ``*.json`` here are reduced
copies (``reduce.py``). What they do not say is from Google's documentation, whose page stands beside it in a comment.
"""
