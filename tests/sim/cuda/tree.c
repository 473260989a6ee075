/* tree.c: a treap of address ranges; the caller brings the priorities. */
#include "memory.h"

/* Splits into bases < at and bases >= at. */
static void split(struct node *root, uint64_t at, struct node **less, struct node **rest)
{
    if (!root) {
        *less = *rest = NULL;
    } else if (root->base < at) {
        split(root->right, at, &root->right, rest);
        *less = root;
    } else {
        split(root->left, at, less, &root->left);
        *rest = root;
    }
}

static struct node *merge(struct node *less, struct node *rest)
{
    if (!less || !rest)
        return less ? less : rest;
    if (less->priority > rest->priority) {
        less->right = merge(less->right, rest);
        return less;
    }
    rest->left = merge(less, rest->left);
    return rest;
}

void tree_insert(struct node **root, struct node *node, uint64_t priority)
{
    node->priority = priority;
    while (*root && (*root)->priority >= priority)
        root = node->base < (*root)->base ? &(*root)->left : &(*root)->right;
    split(*root, node->base, &node->left, &node->right);
    *root = node;
}

void tree_remove(struct node **root, struct node *node)
{
    while (*root != node)
        root = node->base < (*root)->base ? &(*root)->left : &(*root)->right;
    *root = merge(node->left, node->right);
    node->left = node->right = NULL;
}

struct node *tree_floor(struct node *root, uint64_t address)
{
    struct node *best = NULL;

    while (root) {
        if (root->base <= address) {
            best = root;
            root = root->right;
        } else {
            root = root->left;
        }
    }
    return best;
}

struct node *tree_ceiling(struct node *root, uint64_t address)
{
    struct node *best = NULL;

    while (root) {
        if (root->base >= address) {
            best = root;
            root = root->left;
        } else {
            root = root->right;
        }
    }
    return best;
}
