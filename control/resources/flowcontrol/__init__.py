"""The rules of the kinds in flowcontrol.apiserver.k8s.io."""
