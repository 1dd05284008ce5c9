"""The forms of an answer that we ask the API server for."""

JSON = "application/json"
# The second choice is for a server, or a proxy, that knows no such form: it answers with whole objects.
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
