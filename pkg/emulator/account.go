package emulator

// getAccountSettings tells the zones and the default role.
func (c *region) getAccountSettings(*call) (*reply, error) {
	return &reply{body: struct {
		AvailableAZs []string `json:"availableAZs"`
		DefaultRole  string   `json:"defaultRole"`
	}{
		[]string{c.name + "-f", c.name + "-g"},
		"acs:ram::" + c.accountID + ":role/aliyunfcdefaultrole",
	}}, nil
}

// listReservedCapacities is empty: nothing is billed here.
func (c *region) listReservedCapacities(*call) (*reply, error) {
	return &reply{body: struct {
		ReservedCapacities []struct{} `json:"reservedCapacities"`
	}{[]struct{}{}}}, nil
}

// getAccountConfigs tells how large code may be, in bytes.
func (c *region) getAccountConfigs(*call) (*reply, error) {
	return &reply{body: struct {
		CodeSizeLimit int
	}{c.maxCode}}, nil
}
