package credential

// Variables returns the environment in which programs of the user find the keys,
// under the names that Serverless Devs has for them. What c does not have is "", so
// that the keys of another credential are not taken for its own.
func (c Credential) Variables() map[string]string {
	return map[string]string{
		FieldAccountID:       c.AccountID,
		FieldAccessKeyID:     c.AccessKeyID.Reveal(),
		FieldAccessKeySecret: c.AccessKeySecret.Reveal(),
		FieldSecurityToken:   c.SecurityToken.Reveal(),
	}
}
