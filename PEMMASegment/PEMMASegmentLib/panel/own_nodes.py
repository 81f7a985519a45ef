"""Nodes that the panel makes for itself, known by a mark; what only shows something is hidden and never saved.

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


def is_of_user(node) -> bool:
    """Whether a user may take the node for a volume of a study."""
    return not node.GetHideFromEditors() and node.GetAttribute(ROLE) is None


def marked(kind: str, role: str) -> list:
    """Our nodes of this class and role that are in the scene."""
    return [node for node in slicer.util.getNodesByClass(kind) if node.GetAttribute(ROLE) == role]


def only_to_keep(node) -> None:
    """It is saved with the scene, and offered neither as a volume of a study nor in the tree of the module Data."""
    node.SetHideFromEditors(False)  # older versions hid it, and Slicer's Save dialog leaves hidden nodes out
    node.SetAttribute(ROLE, "kept")
    node.SetAttribute(slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyExcludeFromTreeAttributeName(), "1")


def below_study_of(volume, node) -> None:
    """Puts the node below the DICOM study of a volume in the subject hierarchy."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    of_volume = hierarchy.GetItemByDataNode(volume)
    parent = hierarchy.GetItemParent(of_volume) if of_volume else hierarchy.GetSceneItemID()
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:  # the application's plug-ins make items by themselves
        hierarchy.CreateItem(parent, node)
