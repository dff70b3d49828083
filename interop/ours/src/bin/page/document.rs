//! The browser's document, as far as this check looks into it: headings, table rows, text.

use std::fmt::Display;

/// A document as Chromium writes it: well-formed, attributes in double quotes.
pub(crate) struct Document {
    body: String,
    rows: Vec<Row>,
}

/// One row of a table.
pub(crate) struct Row {
    /// The start tag.
    tag: String,
    /// Title of the column, and text.
    cells: Vec<(String, String)>,
}

impl Document {
    pub(crate) fn parse(page: &str) -> Self {
        let body = page.split_once("<body>").map_or(page, |(_, body)| body).to_owned();
        let mut rows = Vec::new();
        for table in inner(&body, "table") {
            let mut lines = inner(table, "tr").into_iter();
            let titles: Vec<_> = match lines.next() {
                Some(head) => inner(head, "th").into_iter().map(plain).collect(),
                None => continue,
            };
            // The tags themselves, in the same order as what is in them.
            let tags = table.match_indices("<tr").skip(1).filter_map(|(at, _)| {
                let tag = table.get(at..)?;
                // A `>` may stand in an attribute.
                tag.get(..tag.find("\">")? + 1)
            });
            for (line, tag) in lines.zip(tags) {
                let texts = cells(line).into_iter().map(plain);
                let cells = titles.iter().cloned().zip(texts).collect();
                rows.push(Row { tag: tag.to_owned(), cells });
            }
        }
        Self { body, rows }
    }

    /// Everything a reader sees.
    pub(crate) fn text(&self) -> String {
        plain(&self.body)
    }

    /// Whether a third-level heading says exactly this.
    pub(crate) fn has_heading(&self, text: &str) -> bool {
        inner(&self.body, "h3").into_iter().any(|heading| plain(heading) == text)
    }

    /// Whether an element of this kind got in.
    pub(crate) fn has_element(&self, name: &str) -> bool {
        self.body.contains(&format!("<{name}"))
    }

    /// The row with these attributes.
    pub(crate) fn row(&self, attributes: &[(&str, &str)]) -> Option<&Row> {
        let has = |row: &Row, (name, value): &(&str, &str)| {
            // Browsers differ in whether they write `<` in an attribute as it is.
            let tag = row.tag.replace("&lt;", "<").replace("&gt;", ">");
            let value = value.replace('&', "&amp;").replace('"', "&quot;");
            tag.contains(&format!(" {name}=\"{value}\""))
        };
        self.rows.iter().find(|row| attributes.iter().all(|one| has(row, one)))
    }
}

impl Row {
    /// The text in the column of this title.
    pub(crate) fn cell(&self, title: &str) -> Option<&str> {
        self.cells.iter().find(|(name, _)| name == title).map(|(_, text)| text.as_str())
    }

    /// Whether the column says this, or a dash for nothing.
    pub(crate) fn says(&self, title: &str, value: Option<impl Display>) -> bool {
        let expected = value.map_or_else(|| "\u{2013}".to_owned(), |value| value.to_string());
        self.cell(title) == Some(expected.as_str())
    }
}

/// What stands in each element of this name; they are not inside of each other.
fn inner<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let close = format!("</{name}>");
    let mut found = Vec::new();
    for piece in html.split(&format!("<{name}")).skip(1) {
        // Another element whose name begins alike, such as `thead` for `th`.
        if !piece.starts_with([' ', '>']) {
            continue;
        }
        let content = piece.split_once('>').and_then(|(_, rest)| rest.split_once(&close));
        found.extend(content.map(|(content, _)| content));
    }
    found
}

/// The cells of a row, the heading in front included.
fn cells(line: &str) -> Vec<&str> {
    let mut all = inner(line, "th");
    all.extend(inner(line, "td"));
    all
}

/// Text without tags, its references resolved, with single blanks.
fn plain(html: &str) -> String {
    let mut text = String::new();
    for piece in html.split('<') {
        text.push(' ');
        text.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
    }
    let text = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&amp;", "&").split_whitespace().collect::<Vec<_>>().join(" ")
}
