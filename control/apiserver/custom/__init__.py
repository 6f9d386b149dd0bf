"""Kinds that come and go at run time: CustomResourceDefinitions, served. Walk step 1.

`controller` watches definitions and makes kinds of them; `definition` is one definition as it is
read, `names` decides who may use which name; `kinds`, `codec` and `strategy` make a kind;
`conversion` and `webhook` lead from one version to another.
"""
