"""What all widgets share: base class, script, style sheet, reading lines, texts and their routing."""
