"""What tests share. Import it as ``support``: pytest puts this folder's parent on the path."""
