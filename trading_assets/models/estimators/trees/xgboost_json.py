"""The JSON form of an XGBoost model, read before the library sees it.

The library ends the process on an empty text, and walks trees without looking where their branches lead. So the text is
parsed here first, and each tree's branches must lead down, so that every row comes to a leaf.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

_Whole = Annotated[str, Field(pattern=r"^\d{1,9}$")]
_Empty = Annotated[list[int], Field(max_length=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _TreeParameters(_Part):
    num_deleted: Literal["0"]
    num_feature: _Whole
    num_nodes: _Whole
    size_leaf_vector: Literal["0", "1"]


class _Tree(_Part):
    id: int
    base_weights: list[float]
    categories: _Empty
    categories_nodes: _Empty
    categories_segments: _Empty
    categories_sizes: _Empty
    default_left: list[Literal[0, 1]]
    left_children: list[int]
    loss_changes: list[float]
    parents: list[int]
    right_children: list[int]
    split_conditions: list[float]
    split_indices: list[int]
    split_type: list[Literal[0]]
    sum_hessian: list[float]
    tree_param: _TreeParameters

    @model_validator(mode="after")
    def _is_a_tree(self) -> _Tree:
        nodes = len(self.left_children)
        sizes = {len(column) for name, column in self if isinstance(column, list) and not name.startswith("categories")}
        if not nodes or sizes != {nodes} or int(self.tree_param.num_nodes) != nodes:
            raise ValueError(f"it says {self.tree_param.num_nodes} nodes and has other numbers of values")
        pairs = list(zip(self.left_children, self.right_children, strict=True))
        children = sorted(child for pair in pairs for child in pair if pair != (-1, -1))
        if children != list(range(1, nodes)) or any(
            not number < min(pair) for number, pair in enumerate(pairs) if pair != (-1, -1)
        ):
            raise ValueError("its nodes are not one tree: a child is missing, named twice, or above its parent")
        if any(not 0 <= column < int(self.tree_param.num_feature) for column in self.split_indices):
            raise ValueError(f"it splits on a feature beyond its {self.tree_param.num_feature}")
        return self


class _Categories(_Part):
    enc: _Empty
    feature_segments: _Empty
    sorted_idx: _Empty


class _ForestParameters(_Part):
    num_parallel_tree: Literal["1"]
    num_trees: _Whole


class _Forest(_Part):
    cats: _Categories
    gbtree_model_param: _ForestParameters
    iteration_indptr: list[int]
    tree_info: list[Literal[0]]
    trees: list[_Tree]


class _Booster(_Part):
    model: _Forest
    name: Literal["gbtree"]


class _LearnerParameters(_Part):
    base_score: Annotated[str, Field(pattern=r"^\[[0-9.E-]{1,30}\]$")]
    boost_from_average: Literal["0", "1"]
    num_class: Literal["0"]
    num_feature: _Whole
    num_target: Literal["1"]


class _LossParameters(_Part):
    scale_pos_weight: Literal["1"]


class _Objective(_Part):
    name: Literal["binary:logistic"]
    reg_loss_param: _LossParameters


class _Learner(_Part):
    attributes: Annotated[dict[str, str], Field(max_length=0)]
    feature_names: Annotated[list[str], Field(max_length=0)]
    feature_types: Annotated[list[str], Field(max_length=0)]
    gradient_booster: _Booster
    learner_model_param: _LearnerParameters
    objective: _Objective


class _Model(_Part):
    learner: _Learner
    version: Annotated[list[int], Field(min_length=3, max_length=3)]

    @model_validator(mode="after")
    def _is_whole(self) -> _Model:
        forest, features = self.learner.gradient_booster.model, self.learner.learner_model_param.num_feature
        trees = len(forest.trees)
        if int(forest.gbtree_model_param.num_trees) != trees or len(forest.tree_info) != trees:
            raise ValueError(f"it says {forest.gbtree_model_param.num_trees} trees and has {trees}")
        if forest.iteration_indptr != list(range(trees + 1)) or [tree.id for tree in forest.trees] != list(
            range(trees)
        ):
            raise ValueError("its trees are not one in each round")
        if any(tree.tree_param.num_feature != features for tree in forest.trees):
            raise ValueError(f"a tree has another number of features than {features}")
        return self


def checked(text: bytes) -> tuple[bytes, int]:
    """A model's text as the library may read it, and the number of features that it was trained on.

    Written anew from what was parsed: what two parsers could read in two ways, such as a key that is there twice, does
    not reach the library.

    Raises
    ------
    ValueError
        What is wrong with it, and where.
    """
    try:
        model = _Model.model_validate_json(text)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in wrong["loc"])
        raise ValueError(f"{place + ': ' if place else ''}{wrong['msg']}") from None
    return model.model_dump_json().encode(), int(model.learner.learner_model_param.num_feature)
