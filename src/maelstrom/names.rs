//! Names of nodes and clients, and the IDs that stand for them.

use std::borrow::Cow;

use crate::id::Id;

/// The number of client `c0`; smaller ones are those of nodes.
const FIRST_CLIENT: u16 = 0x1000;

/// The names of a cluster as one of its nodes sees them.
#[derive(Clone, Debug)]
pub struct Names {
    own: Id,
    nodes: Vec<String>, // sorted; the place of a name is its ID
}

/// Why a node cannot work with these names.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamesError {
    /// The node is not among the nodes.
    #[error("node {0:?} is not among the nodes")]
    OwnMissing(String),
    /// A name stands for two nodes.
    #[error("a node is named twice")]
    Duplicate,
    /// More nodes than there are IDs for.
    #[error("there are more than {FIRST_CLIENT} nodes")]
    TooMany,
}

impl Names {
    /// The names of `own` and of all nodes, in any order.
    ///
    /// # Errors
    ///
    /// The first rule that the names break.
    pub fn new(own: &str, mut nodes: Vec<String>) -> Result<Self, NamesError> {
        nodes.sort_unstable();
        if nodes.len() > usize::from(FIRST_CLIENT) {
            return Err(NamesError::TooMany);
        }
        if nodes.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(NamesError::Duplicate);
        }
        let own = find(&nodes, own).ok_or_else(|| NamesError::OwnMissing(own.to_owned()))?;
        Ok(Self { own, nodes })
    }

    /// This node.
    pub fn own(&self) -> Id {
        self.own
    }

    /// All other nodes.
    pub fn peers(&self) -> Vec<Id> {
        (0..).map_while(Id::new).take(self.nodes.len()).filter(|&id| id != self.own).collect()
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<Id> {
        find(&self.nodes, name)
    }

    /// The client of this name, which is a `c` and a number.
    pub fn client(&self, name: &str) -> Option<Id> {
        let digits =
            name.strip_prefix('c').filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
        let number: u16 = digits.parse().ok()?;
        let id = Id::new(number.checked_add(FIRST_CLIENT)?)?;
        (self.node(name).is_none() && self.name(id) == name).then_some(id)
    }

    /// The name of a node or a client.
    pub fn name(&self, id: Id) -> Cow<'_, str> {
        match id.number().checked_sub(FIRST_CLIENT) {
            Some(number) => format!("c{number}").into(),
            // Only nodes of this cluster have messages.
            None => self.nodes.get(usize::from(id.number())).map_or("", String::as_str).into(),
        }
    }

    /// The length of the longest name that a message may have.
    pub fn longest(&self) -> usize {
        self.nodes.iter().map(String::len).max().unwrap_or(0).max("c65535".len())
    }
}

fn find(nodes: &[String], name: &str) -> Option<Id> {
    let place = nodes.binary_search_by(|node| node.as_str().cmp(name)).ok()?;
    Id::new(u16::try_from(place).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::id;

    fn names(own: &str, nodes: &[&str]) -> Result<Names, NamesError> {
        Names::new(own, nodes.iter().map(|&node| node.to_owned()).collect())
    }

    #[test]
    fn all_nodes_give_a_name_the_same_id() {
        for nodes in [["n1", "n2", "n10"], ["n10", "n1", "n2"]] {
            let names = names("n2", &nodes).expect("good names");
            assert_eq!(names.own(), id(2));
            assert_eq!(names.peers(), [id(0), id(1)]);
            assert_eq!(
                ["n1", "n10", "n2", "n3", "c1"].map(|name| names.node(name)),
                [Some(id(0)), Some(id(1)), Some(id(2)), None, None]
            );
            assert_eq!(names.name(id(1)), "n10");
        }
    }

    #[test]
    fn client_is_a_letter_and_a_number_that_has_an_id() {
        let names = names("n1", &["n1", "c5"]).expect("good names");
        for number in [0, 7, 61_438] {
            let name = format!("c{number}");
            let client = names.client(&name).expect("a client");
            assert_eq!(client, id(FIRST_CLIENT + number));
            assert_eq!(names.name(client), name);
        }
        for name in ["c61439", "c99999999", "c", "c01", "c+1", "c-1", "c 1", "d1", "n1", "c5", "C1", ""] {
            assert_eq!(names.client(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_make_no_cluster_are_refused() {
        assert_eq!(names("n3", &["n1", "n2"]).err(), Some(NamesError::OwnMissing("n3".into())));
        assert_eq!(names("n1", &[]).err(), Some(NamesError::OwnMissing("n1".into())));
        assert_eq!(names("n1", &["n1", "n2", "n1"]).err(), Some(NamesError::Duplicate));
        let many = (0..=FIRST_CLIENT).map(|number| format!("n{number}")).collect();
        assert_eq!(Names::new("n1", many).err(), Some(NamesError::TooMany));
    }
}
