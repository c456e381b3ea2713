package spec

// flow reads `flow:` of edition 3.0.0.
func (b *builder) flow() {}
