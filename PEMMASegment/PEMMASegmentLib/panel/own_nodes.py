"""Nodes that the panel makes to show something: hidden from the selectors, never saved with the scene, known by a mark.

Never by their IDs, which go to the user's own nodes once a scene was closed.
"""

import slicer

ROLE = "PEMMASegment.Role"  # attribute


def mark(node, role: str):
    """Makes the node one of ours, and gives it back. role: what it is for."""
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetAttribute(ROLE, role)
    return node


def marked(kind: str, role: str) -> list:
    """Our nodes of this class and role that are in the scene."""
    return [node for node in slicer.util.getNodesByClass(kind) if node.GetAttribute(ROLE) == role]
